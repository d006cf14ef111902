#!/bin/bash
# Only what the health check of docker-compose.yml asks: whether the server listens.
exec 3<>/dev/tcp/127.0.0.1/27017
