"""Root file systems: which directories, files and links a guest's tree is made of."""
