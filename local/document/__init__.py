"""The published description of the API, declared with Powertools' own decorators: development alone.

Each file declares the operations of an area on a `Router`; nothing of it is ever called. The bodies are the models that
validate in the functions, the answers of our own routes are the models in the files called `…_shapes`, and
those of the OpenAI routes are made of OpenAI's types (`local.answers`). `local.openapi` has
Powertools write them down. They are declared aside, and not on the resolvers of the functions, since these read bodies
as bytes and would pay at each cold start for models that answer nothing; and the chat function has no Powertools.
"""
