#compdef securecall
# Completion of securecall for zsh: securecall help completion says how to install it.

_securecall() {
	local -a choices asked
	local ask='' files='' list=''
	local at='' flag='' word
	integer i

	# Where we are.
	for ((i = 2; i < CURRENT; i++)); do
		word=${(Q)words[i]}
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
	elif [[ $PREFIX == -*=* ]]; then
		at="${at%% *} ${PREFIX%%=*}"
		compset -P 1 '*='
	elif [[ $PREFIX == -* ]]; then
		at="${at%% *} -"
	fi
	_securecall_place "$at" || return 1

	local -a more taken
	if [[ -n $list ]]; then
		compset -P '*,'
		taken=(${(s:,:)IPREFIX#*=})
		choices=(${choices:|taken}) # without what is in the list already
		more=(-S '')
	fi
	local found=1
	if (( $#choices )); then
		_describe -t words 'securecall' choices "${more[@]}" && found=0
	fi
	if [[ -n $ask ]]; then
		word=${(Q)words[1]}
		asked=("${(@f)$("${word/#\~\//$HOME/}" __complete $ask 2>/dev/null)}")
		asked=(${asked:#})
		(( $#asked )) && compadd -a -- asked && found=0
	fi
	case $files in
	(files) _files && found=0 ;;
	(folders) _files -/ && found=0 ;;
	esac
	return found
}

# What can stand at $1: fixed words, what to ask securecall for, files or folders.
_securecall_place() {
	choices=() ask='' files='' list=''
	case $1 in
