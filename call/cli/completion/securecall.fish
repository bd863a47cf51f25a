# Completion of securecall for fish: securecall help completion says how to install it.

function __securecall
	set -l choices
	set -l ask ''
	set -l files ''
	set -l list ''
	set -l command ''
	set -l at ''
	set -l flag ''
	set -l prefix ''
	set -l before (commandline -opc)
	set -l cur (commandline -ct)
	set -l program (string replace -r '^~/' "$HOME/" -- $before[1])
	set -e before[1]

	# Where we are.
	for word in $before
		if test -n "$flag"
			set flag ''
		else if string match -qr '^-.*=' -- $word
			continue
		else if string match -qr '^-.' -- $word
			if __securecall_place "$command $word"
				set flag $word
			end
		else if test -z "$at"
			set command $word
			set at $word
		else if string match -q '* *' -- $at
			set at "$at *"
		else
			set at "$at $word"
		end
	end
	if test -n "$flag"
		set at "$command $flag"
	else if string match -qr '^-.*=' -- $cur
		set prefix (string replace -r '=.*' '=' -- $cur)
		set at "$command "(string replace -r '=.*' '' -- $cur)
		set cur (string replace -r '^[^=]*=' '' -- $cur)
	else if string match -q -- '-*' $cur
		set at "$command -"
	end
	__securecall_place "$at"; or return

	if test -n "$list"
		set prefix "$prefix"(string replace -r '[^,]*$' '' -- "$cur")
		for word in (string split , -- $cur)[1..-2] # which are in the list already
			set -l at (contains -i -- $word $choices); and set -e choices[$at]
		end
	end
	if test -n "$ask"
		command $program __complete $ask 2>/dev/null | while read -l word
			printf '%s%s\n' "$prefix" $word
		end
	end
	if test "$files" = files
		set -a choices (__fish_complete_path "$cur")
	else if test "$files" = folders
		set -a choices (__fish_complete_directories "$cur" '')
	end
	for word in $choices
		printf '%s%s\n' "$prefix" $word
	end
end

complete -c securecall -e
complete -c securecall -f -a '(__securecall)'

# What can stand at $argv[1]: fixed words, what to ask securecall for, files or folders.
function __securecall_place --no-scope-shadowing
	set choices
	set ask ''
	set files ''
	set list ''
	switch $argv[1]
