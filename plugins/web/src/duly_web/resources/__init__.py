"""The resources of the API, each declared once as an Endpoint."""
