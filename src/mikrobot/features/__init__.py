"""Every feature: one compiled step that sees closed bars only. Looks back, never forward."""
