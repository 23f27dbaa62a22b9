"""gRPC: the services and their descriptors."""
