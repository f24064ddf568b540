"""Side by side with the host: ratios guest/host against the promised limits."""
