"""Pools and budgets that vary: what a controller needs that is to meet strangers.

`world` draws pools of known and made-up experts (`family`) at prices and budgets of the day;
`rehearsals` are conversations with them, `foresight` says what each turn of them is worth by cards
and prices, and `school` teaches it. Rewards then mend what cards and prices do not tell.
"""
