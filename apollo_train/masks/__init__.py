"""What is trained and why not: flags and policies become a verdict and one reason for each reply, call and part."""
