"""Who asks: sessions of programs and browsers, tokens, tickets, and how they end."""
