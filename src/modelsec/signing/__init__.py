"""Is this exactly the model that was signed, by whom, and is it the one that was meant?"""
