"""What every part of the API shares: tokens, scopes, pages, filters, problems, idempotency. It knows no resource."""
