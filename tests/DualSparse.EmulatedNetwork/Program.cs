using System.CommandLine;
using DualSparse.EmulatedNetwork;

var devices = new Argument<string[]>("devices") { Description = "TAP devices to create, a cable each", Arity = ArgumentArity.OneOrMore };
var rate = new Option<double>("--rate") { Description = "Mbit/s of a cable, each way; 0: as fast as it goes" };
var delay = new Option<double>("--delay") { Description = "Microseconds from one cable's end to another's" };
var queue = new Option<int>("--queue") { Description = "KiB that may wait for a cable", DefaultValueFactory = _ => 4096 };
var root = new RootCommand("A switch in user space: joins TAP devices by cables of a rate and a delay, until SIGTERM; then says what it carried.") { devices, rate, delay, queue };
root.SetAction(arguments =>
{
    try
    {
        var speed = new CableSpeed(arguments.GetValue(rate), arguments.GetValue(delay), arguments.GetValue(queue) << 10);
        using var network = new NetworkSwitch(speed, arguments.GetRequiredValue(devices));
        Console.Out.WriteLine("ready");
        Console.Out.Flush();
        Console.Error.WriteLine(network.Run());
        return 0;
    }
    catch (IOException e)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
});
return root.Parse(args).Invoke();
