//! Prints what was counted while messages were sent, in the form that Prometheus reads; and with an
//! address as argument serves it there.
//!
//! ```text
//! cargo run -p outpost-book --example counts -- 127.0.0.1:9100
//! ```

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use outpost::{Envelope, Mailer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers every request with the counts. A program that has an HTTP server already adds a page to it.
async fn serve(listener: TcpListener, counts: PrometheusHandle) -> std::io::Result<()> {
    loop {
        let (mut client, _) = listener.accept().await?;
        // What is asked for does not matter, and a client that hangs up early does no harm.
        let _ = client.read(&mut [0; 4096]).await;
        let page = counts.render();
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        let _ = client.write_all(answer.as_bytes()).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let counts = PrometheusBuilder::new().install_recorder()?;
    outpost::metrics::describe();

    let mailer = Mailer::relay("[127.0.0.1]:25").build()?;
    let envelope = Envelope::new("me@example.org", ["ann@example.com"])?;
    mailer.send(envelope, "Subject: hello\n\nHi there.\n").await;

    match std::env::args().nth(1) {
        Some(address) => serve(TcpListener::bind(address).await?, counts).await?,
        None => print!("{}", counts.render()),
    }
    Ok(())
}
