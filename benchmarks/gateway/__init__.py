"""What the gateway costs a harness, against the same requests on a direct line."""
