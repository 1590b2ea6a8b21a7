"""Programs that are talked to in the Agent Client Protocol: told what to do, asked, cancelled."""
