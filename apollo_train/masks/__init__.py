"""What is trained and why not: flags and policies become a mask and one reason for each reply and each part of it."""
