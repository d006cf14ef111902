"""What text in MySQL is compared by, stated wherever `utf8mb4` alone would mean something else on each server."""

COLLATION = "utf8mb4_unicode_ci"
