"""Files and text, whatever they hold."""
