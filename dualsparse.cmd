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

powershell -NoProfile -Command "$b = Get-Item -LiteralPath ($env:out + '\.built') -ErrorAction SilentlyContinue; if (-not $b) { exit 1 }; $n = @(Get-ChildItem -LiteralPath $env:root -File | Where-Object { $_.Name -match '^(Directory\..*\.props|global\.json)$' }) + @(Get-ChildItem -LiteralPath ($env:root + 'src') -Recurse -File | Where-Object { $_.FullName.Substring($env:root.Length) -notmatch '\\(bin|obj)\\' }) | Where-Object { $_.LastWriteTime -gt $b.LastWriteTime } | Select-Object -First 1; if ($n) { exit 1 }; exit 0"
if errorlevel 1 (
    pushd "%root%"
    dotnet --version >nul 2>nul
    if errorlevel 1 (
        echo dualsparse: 'dotnet' is there, but not the .NET 10 SDK to build with; it is at https://dotnet.microsoft.com/download 1>&2
        exit /b 1
    )
    echo dualsparse: building, once 1>&2
    rem The mark is as old as the build's beginning: what changes during it counts as newer.
    if not exist "%out%" mkdir "%out%"
    type nul > "%out%\.started"
    dotnet publish src\DualSparse.Cli -c Release -o "%out%" -v quiet --nologo 1>&2
    if errorlevel 1 (
        echo dualsparse: the build failed 1>&2
        exit /b 1
    )
    popd
    move /y "%out%\.started" "%out%\.built" >nul
)

dotnet "%out%\dualsparse.dll" %*
exit /b %errorlevel%
