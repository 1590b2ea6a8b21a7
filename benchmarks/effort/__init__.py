"""What an annotator's jobs cost: keys, and seconds until the receipt stands on the screen."""
