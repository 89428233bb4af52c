# Run by CPack when the files of the packages are in their places: Debian has manual pages and changelogs compressed.
file(GLOB_RECURSE files
  "${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/man/*.[1-8]"
  "${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/doc/*/changelog"
  "${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/doc/*/changelog.Debian")
if(files)
  execute_process(COMMAND gzip -9nf ${files} COMMAND_ERROR_IS_FATAL ANY)
endif()
