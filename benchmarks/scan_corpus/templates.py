"""Chat templates: hostile ones (inert) and an honest one."""

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' "
    "+ message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

TOOLS = (
    "{%- macro describe(tool) %}{{ tool.name | upper }}: "
    "{{ tool | tojson(indent=2) }}{% endmacro %}"
    "{%- if messages[0].role == 'system' %}{{ messages[0].content | trim }}{% endif %}"
    "{%- for tool in tools %}{{ describe(tool) }}{% endfor %}"
    "{%- set ns = namespace(last=0) %}{%- for m in messages %}"
    "{%- if m.content is string and '</think>' in m.content %}"
    "{%- set answer = m.content.split('</think>')[-1].lstrip('\\n') %}{{ answer }}"
    "{%- else %}{{ raise_exception('no') }}{% endif %}{% set ns.last = loop.index0 %}{% endfor %}"
)

_WALK = "{{ ''.__class__.__base__.__subclasses__() }}"

TEMPLATES = {
    "class-walk": _WALK,
    "subscript": "{{ ''['__class__'] }}",
    "escape-x": "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "escape-u": "{{ ''['\\u005f_class__'] }}",
    "escape-octal": "{{ ''['\\137_class__'] }}",
    "joined": "{{ ''['__cla' ~ 'ss__'] }}",
    "added": "{{ ''['__cla' + 'ss__'] }}",
    "join-filter": "{{ ''[['__cla', 'ss__'] | join] }}",
    "reversed": "{{ ''['__ssalc__' | reverse] }}",
    "attr-filter": "{{ '' | attr('__class__') }}",
    "map-attribute": "{{ [''] | map(attribute='__class__') | list }}",
    "format": "{{ '{0.__class__}'.format('') }}",
    "cycler": "{{ cycler.__init__.__globals__.os.getcwd() }}",
    "lipsum": "{{ lipsum.__globals__['os'].getcwd() }}",
    "self": "{{ self.__init__.__globals__ }}",
    "range": "{% for x in range(1000000000000) %}{{ x }}{% endfor %}",
    "include": "{% include '/etc/hostname' %}",
    "import": "{% import 'os' as os %}{{ os }}",
    "after-honest": CHATML + "{%- if messages | length > 90 %}" + _WALK + "{% endif %}",
    "in-set": "{% set x = ''.__class__ %}{{ x }}",
}
