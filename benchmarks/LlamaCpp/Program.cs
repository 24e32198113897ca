using System.CommandLine;
using System.Globalization;
using DualSparse.LlamaCpp;
using DualSparse.Models;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
using var interrupt = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) =>
{
    press.Cancel = !interrupt.IsCancellationRequested;
    interrupt.Cancel();
};
try
{
    return Arguments.Command(settings => Run.All(settings, interrupt.Token)).Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OperationCanceledException)
{
    return Fail("interrupted");
}
catch (Exception e) when (e is ArgumentException or InvalidOperationException or IOException or UnauthorizedAccessException or ModelFormatException)
{
    return Fail(e.Message);
}

static int Fail(string why)
{
    Console.Error.WriteLine(why);
    return 1;
}
