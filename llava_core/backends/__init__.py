"""Language models that are asked through chat messages: over HTTP, or in this process."""
