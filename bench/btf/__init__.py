"""What reading the kernel's types costs."""
