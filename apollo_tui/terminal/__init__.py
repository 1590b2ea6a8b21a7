"""What goes to the terminal besides the screens: alerts, clipboard, the speed of the line, fewer bytes per frame."""
