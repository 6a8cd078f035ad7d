"""What is taken out of everything that is kept: secrets, the machine's folders, what the user names."""
