@echo off
rem Builds DualSparse when its sources are newer than the built program, then runs it: dualsparse generate "Once upon a time"
setlocal
set "root=%~dp0"
set "out=%root%bin\dualsparse"

where dotnet >nul 2>nul
if errorlevel 1 (
    echo dualsparse: there is no 'dotnet' on the path; the .NET 10 SDK is at https://dotnet.microsoft.com/download 1>&2
    exit /b 1
)

powershell -NoProfile -Command "$b = Get-Item '%out%\.built' -ErrorAction SilentlyContinue; if (-not $b) { exit 1 }; $n = Get-ChildItem '%root%src', '%root%Directory.*.props', '%root%global.json' -Recurse -File | Where-Object { $_.FullName -notmatch '\\(bin|obj)\\' -and $_.LastWriteTime -gt $b.LastWriteTime } | Select-Object -First 1; if ($n) { exit 1 }; exit 0"
if errorlevel 1 (
    pushd "%root%"
    dotnet --version >nul 2>nul
    if errorlevel 1 (
        echo dualsparse: 'dotnet' is there, but not the .NET 10 SDK to build with; it is at https://dotnet.microsoft.com/download 1>&2
        exit /b 1
    )
    echo dualsparse: building, once 1>&2
    dotnet publish src\DualSparse.Cli -c Release -o "%out%" -v quiet --nologo 1>&2
    if errorlevel 1 (
        echo dualsparse: the build failed 1>&2
        exit /b 1
    )
    popd
    type nul > "%out%\.built"
)

dotnet "%out%\dualsparse.dll" %*
exit /b %errorlevel%
