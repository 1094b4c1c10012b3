"""How the network is trained: skorch net, batches, process settings."""
