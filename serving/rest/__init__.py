"""REST: URLs, bodies and the web page."""
