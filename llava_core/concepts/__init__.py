"""LLaVA's noun-phrase filter of captioned images, and their naive expansion into stage-1 records."""
