"""How guest events are intercepted. Each monitor carries a BootPlan out and hands back a Connection."""
