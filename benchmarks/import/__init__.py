"""How true an imported recording is: real files, read once by the product and once by readers of our own."""
