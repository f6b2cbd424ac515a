# syntax=docker/dockerfile:1
# Two stages: what builds stays behind, what serves has Python and our code.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN python -m venv /app/.venv
# Dependencies first: the layer is built again only when they change.
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /app/.venv/bin/pip install --requirement requirements.txt
COPY . .
# Static files get the names and compressed copies that production serves. The secrets
# exist for this one command; DEBUG=false is what asks for the manifest.
RUN DEBUG=false VAR_DIR=/tmp/build ALLOWED_HOSTS=localhost \
    SECRET_KEY=only-while-the-image-is-built-012345678901234567890123456789 \
    JWT_SECRET=only-while-the-image-is-built-012345678901234567890123456789 \
    /app/.venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && /app/.venv/bin/python -m compileall -q accounts characters config \
       conversations database llm .venv/lib

FROM python:3.13-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 \
    DEBUG=false HOST=0.0.0.0 PORT=8000 VAR_DIR=/var/lib/tertulia
RUN useradd --system --uid 10001 --home-dir /var/lib/tertulia --create-home tertulia
WORKDIR /app
COPY --from=build /app /app
USER tertulia
VOLUME /var/lib/tertulia
EXPOSE 8000
# Longer than DRAIN_SECONDS, so that replies being written can end.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["python", "deploy/health.py"]
CMD ["python", "manage.py", "serve"]
