"""One module per screen. A screen owns its layout and its actions; its keys come from ``apollo_tui.keys``."""
