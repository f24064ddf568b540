"""The guest-kernel ELF, put here by the build."""
