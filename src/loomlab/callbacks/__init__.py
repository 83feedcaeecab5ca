"""What happens around training steps."""
