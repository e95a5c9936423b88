"""Model cards, bills of materials and approvals that claim only what was checked."""
