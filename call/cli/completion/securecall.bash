# Completion of securecall for bash 4 and later: securecall help completion says how to install it.

_securecall() {
	local choices=() ask='' files='' list=''
	local words=() n=-1 i gap piece word head rest=${COMP_LINE:0:COMP_POINT}
	local at='' flag='' cur prefix='' quote=''
	COMPREPLY=()

	# The words as they were typed: bash has cut them at = and : too.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		gap=${rest%%[![:space:]]*}
		rest=${rest#"$gap"}
		piece=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || piece=$rest
		if ((i > 0)) && [[ -z $gap ]]; then
			words[n]+=$piece
		else
			words[++n]=$piece
		fi
		rest=${rest#"$piece"}
	done
	# What bash will not replace: all but its own idea of the last word.
	cur=${words[n]} head=
	if [[ $cur == *"$2" ]]; then head=${cur%"$2"}; fi

	# Where we are.
	for ((i = 1; i < n; i++)); do
		word=${words[i]}
		if [[ -n $flag ]]; then
			flag=''
		elif [[ $word == -*=* ]]; then
			continue
		elif [[ $word == -?* ]]; then
			if _securecall_place "${at%% *} $word"; then flag=$word; fi
		elif [[ -z $at ]]; then
			at=$word
		elif [[ $at == *' '* ]]; then
			at+=' *'
		else
			at+=" $word"
		fi
	done
	if [[ -n $flag ]]; then
		at="${at%% *} $flag"
	elif [[ $cur == -*=* ]]; then
		prefix=${cur%%=*}= cur=${cur#*=}
		at="${at%% *} ${prefix%=}"
	elif [[ $cur == -* ]]; then
		at="${at%% *} -"
	fi
	_securecall_place "$at" || return 0

	if [[ -n $list ]]; then
		prefix+=${cur%"${cur##*,}"} cur=${cur##*,}
		compopt -o nospace
	fi
	if [[ -n $ask ]]; then
		while IFS= read -r word; do
			choices+=("$word")
		done < <("${words[0]/#\~\//$HOME/}" __complete "$ask" 2>/dev/null)
	fi
	case $files in
	files) compopt -o default ;;
	folders) compopt -o dirnames ;;
	esac

	# A name may hold anything that can be seen: it is quoted, or left out where the
	# quotes that were opened cannot hold it.
	case $cur in
	[\"\']*) quote=${cur:0:1} cur=${cur:1} ;;
	*) cur=${cur//\\/} ;;
	esac
	for word in "${choices[@]}"; do
		[[ $word == "$cur"* ]] || continue
		[[ -z $list || ,${prefix#*=} != *",$word,"* ]] || continue # it is in the list already
		case $quote in
		\") [[ $word != *[\"\\\$\`!]* ]] || continue ;;
		\') [[ $word != *\'* ]] || continue ;;
		*) printf -v word %q "$word" ;;
		esac
		word=$prefix$quote$word
		if [[ $word == "$head"* ]]; then COMPREPLY+=("${word#"$head"}"); fi
	done
}

complete -F _securecall securecall

# What can stand at $1: fixed words, what to ask securecall for, files or folders.
_securecall_place() {
	choices=() ask='' files='' list=''
	case $1 in
