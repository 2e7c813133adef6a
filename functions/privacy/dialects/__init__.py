"""Other people's words for a data-rights request, each translated into the one model (`privacy.service.Rights`)."""
