"""What is posted to receivers of clients, and where such a receiver may stand."""
