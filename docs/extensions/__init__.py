"""What the site has that Sphinx does not bring."""
