"""What servers' words mean: that a prompt does not fit, that somebody has to pay, that earlier reasoning is refused.

Statuses and codes differ from server to server for the same thing, so the words decide. The kinds of wording, with who
says so, are in tests/cases/world/context_words.py.
"""

from __future__ import annotations

import re
from typing import Final

_FLAGS: Final = re.IGNORECASE | re.DOTALL

_RATE_OR_MONEY: Final = re.compile(
    r"\bper[ _-](?:second|minute|hour|day|week|month)|\b(?:tpm|rpm|tpd|rpd)\b|rate.?limit|\bquota|\bbilling|\bbalance"
    r"|\bcredits?\b|free tier|\b(?:your|current) plan\b|subscription|\bupgrade|\bmonthly\b|\bdaily\b|\bpayment"
    r"|余额|欠费|配额|额度|每分钟|限流|频率",
    _FLAGS,
)
_OTHER_THINGS: Final = re.compile(
    r"'tools'|\btools?\b.{0,20}\b(?:too (?:long|many|large)|length)|tool_calls\[|stop sequence|\bname\b.{0,30}too long"
    r"|\bimages? (?:exceeds?|is|are|size|dimension)|\bimage\b.{0,40}\bbytes\b|budget_tokens|\btemperature\b|metadata"
    r"|\bfile (?:is |size )?(?:too|exceeds)|schema|took too long|waited too long|too long (?:to|for) \w+ing\b"
    r"|\blimit of [\d,]+ (?:requests|messages|calls)",
    _FLAGS,
)
"""Other things that are too long, too large or too many: a shorter conversation does not mend them."""

_ALTERNATE: Final = re.compile(
    r"\b(?:roles?|turns?|messages?|requests?)\b.{0,80}\balternat(?:e|es|ing|ion)\b"
    r"|\balternat(?:e|es|ing)\b.{0,60}\b(?:roles?|turns?|messages?|user)\b"
    r"|\b(?:roles?|turns?|messages?)\b.{0,20}\bin a row\b",
    _FLAGS,
)

_EXCESS: Final = (
    r"(?:exceed\w*|exceeds|too (?:long|large|big|many|high)|longer than|larger than|greater than|more than|higher than"
    r"|bigger than|over (?:the )?(?:limit|maximum|max)\w*|above the (?:limit|maximum)|overflow\w*|beyond|surpass\w*"
    r"|(?:does|do|did|will|would|could|can)(?: not|n't|not) (?:fit|be (?:processed|handled))|out of|ran out|run out"
    r"|not enough|is full|reached|limit(?:ed)? (?:is|of|to)|at most|only (?:supports?|allows?|has)|maximum|must be"
    r"|should be|must have (?:less|fewer)|requested|resulted in|contains?|reduce|shorten|no smaller)"
)
_LIMIT_NAME: Final = (
    r"(?:context[ _-]?(?:length|window|size|limit|budget|space|capacity)|\bn_ctx\b|\bctx[_ -](?:size|len)\w*"
    r"|max(?:imum)?[ _-]?(?:allowed[ _-])?(?:seq(?:uence)?|model|kv|context|prompt|input|conversation|message)s?"
    r"[ _-]?(?:len(?:gth)?|size|tokens?|characters|window)?\b|model(?:'s)? (?:token|context) limit|model token limit"
    r"|sequence length|(?:input|prompt)[ _-]?(?:token )?(?:length|limit)|kv[ _-]?cache|max message tokens)"
)
_SUBJECT: Final = (
    r"(?:\bprompts?|\binputs?|`inputs`|\bcontext|\bconversation|\bchat history|\bhistory|\bmessages?|\brequests?"
    r"|(?:input|prompt|context)[_ ]tokens?|token (?:count|length)|token indices|\bsequence|\btranscript)"
)
_TOO_LONG: Final = re.compile(
    r"context[_ ]?length[_ ]?exceeded|context[_ ]?window[_ ]?(?:is )?exceeded|contextwindowexceeded"
    r"|exceed_context_size|context[_ ]?(?:length|window)?[_ ]?overflow"
    rf"|{_LIMIT_NAME}.{{0,160}}\b{_EXCESS}|\b{_EXCESS}.{{0,160}}{_LIMIT_NAME}"
    rf"|{_SUBJECT}.{{0,100}}\b(?:too (?:long|large|big)|too many tokens|exceed\w*|longer than|larger than|overflow\w*"
    r"|(?:not|n't) fit)|(?:prompt|input|messages?|context)\b.{0,60}\btokens.{0,30}\b(?:more|greater|higher) than"
    r"|too many (?:input |prompt |total |context )?tokens|reduce the (?:length|size|number) of (?:the |your )?"
    r"(?:messages?|prompt|input|context|tokens|conversation)|shorten (?:the|your) (?:messages?|prompt|input|context)"
    r"|must have (?:less|fewer) than [\d,]+ tokens|(?:input|prompt|messages?)s?\b.{0,40}tokens?`? .{0,40}"
    r"must be (?:<|less|at most|smaller|no more)|maximum number of (?:input |prompt )?tokens"
    r"|token limit (?:was |is |has been )?(?:exceeded|reached)|exceed\w*.{0,60}(?:token limit|number of tokens)"
    r"|tokens?.{0,30}over (?:the )?limit|default_max_tokens \(-"
    r"|max(?:imum)? input characters"
    r"|messages\[\d+\]\.content.{0,60}(?:too long|too large)|'messages'.{0,20}(?:too long|too large)"
    r"|string too long.{0,200}messages\[\d+\]\.content"
    r"|(?:prompt|input|request|conversation|messages?)\b.{0,60}\b[\d,]+ tokens.{0,80}"
    r"\b(?:limit|maximum|max|only|supports?)"
    r"|token count is [\d,]+.{0,40}\b(?:only|limit|max)|max(?:imum)? (?:is|allowed is) [\d,]+ tokens"
    r"|\bnumber of tokens.{0,40}\b(?:above|over|exceed\w*|greater|larger|more)\b|tokens?\b.{0,40} > context"
    r"|(?:handle|take|accept|read)s? at most [\d,]+ tokens?\b|\b(?:text|chat) is too (?:long|large)"
    r"|expected maxLength: [\d,]+, actual|free space in the kv cache"
    r"|超长|过长|超过.{0,12}(?:最大|长度|上限|限制|上下文)|超出.{0,12}(?:最大|长度|上限|限制|上下文)|上下文.{0,8}(?:长度|超|窗口)"
    r"|長すぎ|長さ.{0,8}超|너무 (?:길|깁)|길이.{0,8}초과|zu lang|trop long|demasiado larg|слишком длин",
    _FLAGS,
)
_UNMISTAKABLE: Final = re.compile(
    r"context[_ ]?length[_ ]?exceeded|context[_ ]?window|context length|context size|maximum (?:context|prompt) length",
    _FLAGS,
)
"""Words that mean the context even beside a word about plans."""
_RATE: Final = re.compile(
    r"\bper[ _-](?:second|minute|hour|day|week|month)|\b(?:tpm|rpm|tpd|rpd)\b|rate.?limit", _FLAGS
)

_TOO_FAST: Final = re.compile(r"rate.?limit|too many requests|\bqps\b|requests? limit|slow down|限流|频率|频繁", _FLAGS)
_PAYMENT: Final = re.compile(
    r"insufficient[_ ](?:user[_ ])?(?:account[_ ])?(?:balance|quota|credits?|funds)|\bbalance (?:is )?(?:too low"
    r"|insufficient|not enough|exhausted|negative)|negative balance|credit balance|check your account balance"
    r"|(?:out of|no|not enough|run out of|more|all (?:your|available|of your)|no remaining) credits?\b"
    r"|\bcredits? (?:(?:is|are|has been|have been|was) )?(?:exhausted|depleted|used up|limit|insufficient)"
    r"|\bcredits? (?:for|of) .{0,40}(?:exceeded|exhausted)|exceeded your .{0,30}\bcredits\b|can only afford"
    r"|\barrear|\boverdue\b|unpaid|payment (?:is )?required|payment method|\bbilling\b|good standing|\btop[ -]up\b"
    r"|exceeded your current (?:token )?quota|quota (?:is |has been )?(?:not enough|exhausted|used up)"
    r"|free tier .{0,40}exhausted"
    r"|spend(?:ing)? limit|hard limit|(?:exceeded|over|out of|exhausted) (?:its |your |the )?budget\b"
    r"|budget has been exceeded|exceeded_?budget|trial (?:has |period )?(?:ended|expired|is over)"
    r"|no active subscription"
    r"|(?:account|organi[sz]ation|project|subscription)\b.{0,40}\b(?:suspended|disabled|deactivated|banned|blocked"
    r"|closed|expired|inactive|not active|terminated|restricted|delinquent)"
    r"|\buser (?:account )?(?:is |has been |was )?(?:suspended|disabled|deactivated|banned|inactive)"
    r"|欠费|余额不足|账户余额|余额为|充值|续费|续订|额度.{0,6}(?:用完|用尽|耗尽|不足|失败)|资源包.{0,8}(?:用完|用尽|耗尽|不足)|套餐.{0,6}(?:到期|过期|用完)"
    r"|账[户号].{0,8}(?:停用|冻结|封|锁定|禁用|注销|过期|逾期)|残高.{0,4}不足|잔액.{0,4}부족",
    _FLAGS,
)
_ACCESS: Final = re.compile(
    r"(?:invalid|incorrect|missing|expired|revoked|wrong|bad|no|unknown) (?:\w+ )?(?:(?:x-)?api[ _-]?key"
    r"|access[ _-]?token|auth\w* token|token provided|credentials?|authentication|authori[sz]ation)"
    r"|api[ _-]?key\b.{0,40}\b(?:invalid|expired|not valid|missing|incorrect|revoked|required)|unauthori[sz]ed"
    r"|not authori[sz]ed|authentication(?: \w+)? (?:failed|required|error)"
    r"|permission denied|access denied|access to .{0,60}denied|\bforbidden\b"
    r"|\bmodel\b.{0,80}\b(?:not found|not exist|does(?: not|n't) exist|is not loaded|not supported|not available"
    r"|deprecated|decommissioned|retired|removed|unknown)|(?:no such|unknown|invalid) model|鉴权失败|身份验证"
    r"|无效的(?:令牌|密钥)|令牌.{0,6}(?:过期|无效)|模型.{0,12}不存在",
    _FLAGS,
)
_PASSES: Final = re.compile(
    r"try again|retry|please wait|temporar|currently loading|is loading|starting|warming|overloaded|capacity"
    r"|per[ _-](?:second|minute)",
    _FLAGS,
)
"""Words of what passes by itself, whatever else is said."""
_REASONING: Final = re.compile(r"thinking|\bsignatures?\b|reasoning|\bthought|encrypted_content", _FLAGS)
_PARAMETER: Final = re.compile(
    r"budget_tokens|reasoning[_.]effort|thinking\.(?:type|budget)|enable_thinking|max_tokens|adaptive"
    r"|reasoning_content.{0,60}(?:missing|must be|is required|passed back)|(?:missing|must).{0,40}reasoning_content"
    r"|thought_signature.{0,40}missing|missing.{0,20}thought_signature",
    _FLAGS,
)
"""Words about how to think, or about reasoning that is wanted back: leaving earlier reasoning out does not mend it."""


def is_too_long(words: str) -> bool:
    """Whether a server's ``words`` say that the prompt does not fit."""
    if _OTHER_THINGS.search(words) and not _UNMISTAKABLE.search(words):
        return False
    if _RATE_OR_MONEY.search(words) and (not _UNMISTAKABLE.search(words) or _RATE.search(words)):
        return False
    return _TOO_LONG.search(words) is not None


def wants_payment(words: str) -> bool:
    """Whether somebody has to pay, or an account has to be opened again, before anything goes on."""
    return _PAYMENT.search(words) is not None


def limits_rate(words: str) -> bool:
    """Whether too much was asked for in too short a time."""
    return _TOO_FAST.search(words) is not None


def denies_access(words: str) -> bool:
    """Whether the key, the permission or the model is what is wrong, and not for a moment only."""
    return _ACCESS.search(words) is not None and not says_that_it_passes(words)


def says_that_it_passes(words: str) -> bool:
    """Whether the server says itself that another attempt may help."""
    return _PASSES.search(words) is not None


def refuses_reasoning(words: str) -> bool:
    """Whether it is the model's earlier reasoning, as it was sent back, that the server refuses."""
    return _REASONING.search(words) is not None and _PARAMETER.search(words) is None


def turns_must_alternate(words: str) -> bool:
    """Whether a conversation is refused because two turns of one side follow each other in it.

    >>> turns_must_alternate("Conversation roles must alternate user/assistant/user/assistant/...")
    True
    >>> turns_must_alternate('found multiple "user" roles in a row')
    True
    >>> turns_must_alternate("This model's maximum context length is 4096 tokens.")
    False
    """
    return _ALTERNATE.search(words) is not None
