"""Model providers: neutral messages to the wire and back. SDKs are imported only when a session needs them."""
