"""The audit: is production configured correctly, proved by behaviour. One module for each subject."""
