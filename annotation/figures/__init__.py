"""Agreement and annotators' figures. For workers: numpy and scipy are loaded here, which no web process needs."""
