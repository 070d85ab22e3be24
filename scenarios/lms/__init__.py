"""Large Model Support: our own graph editor and adapters for foreign providers."""
