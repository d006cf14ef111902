"""Product and order search in Elasticsearch."""
