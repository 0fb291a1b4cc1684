"""What a prompt brings into the panel's form."""

from __future__ import annotations

from llm_playground.saved_prompt import Prompt
from llm_playground.widgets.form import Form


def brought_by(prompt: str | Prompt) -> Form:
    """The form that a prompt stands for; what it does not say is as in an empty form.

    >>> brought_by("Say hello.").prompt
    'Say hello.'
    """
    if not isinstance(prompt, Prompt):
        return Form(prompt)
    return Form(
        prompt=prompt.question or "",
        system=prompt.system or "",
        models=[prompt.model] if prompt.model else [],
        parameters=prompt.parameters.as_dict(),
        turns=[{"role": turn.role, "content": turn.text} for turn in prompt.earlier],
    )
