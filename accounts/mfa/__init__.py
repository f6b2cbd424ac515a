"""Second factors: authenticator apps, recovery codes and passkeys, through allauth."""
